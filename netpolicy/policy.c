/* to come */
typedef int placeholder_;
